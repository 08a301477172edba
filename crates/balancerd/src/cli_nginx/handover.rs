//! What a master tells the worker it starts: the files it has read and what it was called with.
//!
//! A worker that read the files itself would see those of the moment it starts in, half edited
//! ones among them. So it gets the text the master has judged.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nginx_conf::{Files, Loaded, Options};

/// One configuration: where it came from, and its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Handover {
    pub(super) file: PathBuf,
    pub(super) options: Options,
}

impl Handover {
    /// What `loaded`, read from `file` with `options`, was made of.
    pub(super) fn of(loaded: &Loaded, file: &std::path::Path, options: &Options) -> Self {
        let files: Files =
            loaded.files().map(|(name, text)| (PathBuf::from(name), text.to_owned())).collect();
        let options = Options { files: Some(files), ..options.clone() };
        Self { file: file.to_owned(), options }
    }

    /// A file without a name that holds it, to be a process's standard input.
    pub(super) fn write(&self) -> io::Result<OwnedFd> {
        linux::file::memory_file("nginx.conf", &self.to_bytes())
    }

    /// It as one text.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |key: &str, value: &str| {
            bytes.extend_from_slice(format!("{key} {}\n{value}", value.len()).as_bytes());
        };
        put("prefix", &self.options.prefix.to_string_lossy());
        put("file", &self.file.to_string_lossy());
        if let Some(globals) = &self.options.globals {
            put("globals", globals);
        }
        if let Some(error_log) = &self.options.error_log {
            put("error_log", error_log);
        }
        for (name, text) in self.options.files.iter().flatten() {
            put("name", &name.to_string_lossy());
            put("text", text);
        }
        bytes
    }

    /// Reads it back.
    pub(super) fn read(from: &mut File) -> io::Result<Self> {
        let mut text = String::new();
        from.read_to_string(&mut text)?;
        Self::parse(&text)
            .ok_or_else(|| io::Error::other("the configuration handed over is broken"))
    }

    /// What [`to_bytes`](Self::to_bytes) made a text of.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut handover = Self { options: super::options(), ..Self::default() };
        let mut files = Files::new();
        let mut name = PathBuf::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (head, after) = rest.split_once('\n')?;
            let (key, length) = head.split_once(' ')?;
            let length: usize = length.parse().ok()?;
            let value = after.get(..length)?;
            rest = &after[length..];
            match key {
                "prefix" => handover.options.prefix = value.into(),
                "file" => handover.file = value.into(),
                "globals" => handover.options.globals = Some(value.to_owned()),
                "error_log" => handover.options.error_log = Some(value.to_owned()),
                "name" => name = value.into(),
                "text" => {
                    files.insert(name.clone(), value.to_owned());
                }
                _ => return None,
            }
        }
        handover.options.files = Some(files);
        Some(handover)
    }
}
