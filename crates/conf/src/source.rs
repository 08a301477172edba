//! Where configuration text comes from.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Which file of a [`Sources`] a span points into.
pub type FileId = u16;

/// The largest configuration file that is read, in bytes (64 MiB).
///
/// Beyond it a file is not a configuration, and reading on would only cost memory.
const MAX_FILE: u64 = 64 << 20;

/// A half-open byte range in one source file.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Span {
    /// The file, as [`Sources::add`] numbered it.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes as an index range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span covering both; `self` where they are in different files.
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The path is a directory.
    Directory,
    /// The path is neither a regular file nor something that can be read like one.
    NotRegular,
    /// The file is larger than 64 MiB.
    TooLarge,
    /// More than 65,535 files have been read.
    TooMany,
    /// Opening or reading failed.
    Io(std::io::Error),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory => f.write_str("is a directory"),
            Self::NotRegular => f.write_str("is not a regular file"),
            Self::TooLarge => f.write_str("is larger than 64 MiB"),
            Self::TooMany => f.write_str("is one file too many"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// The files read so far; the only owner of configuration text.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<File>);

#[derive(Clone, Debug)]
struct File {
    name: String,
    text: String,
    /// Offsets at which a line starts.
    lines: Vec<u32>,
    /// Where the file claims to start counting, for text taken out of another file.
    first_line: usize,
}

impl Sources {
    /// Takes a text in, and numbers it.
    ///
    /// Text beyond the 65,535th file is counted as the last one; [`read`](Self::read) refuses earlier.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add_from(name, text, 1)
    }

    /// Like [`add`](Self::add), for text whose first line is line `first_line` of `name`.
    pub fn add_from(
        &mut self,
        name: impl Into<String>,
        text: impl Into<String>,
        first_line: usize,
    ) -> FileId {
        let text = text.into();
        let starts =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        self.0.push(File { name: name.into(), text, lines, first_line });
        FileId::try_from(self.0.len() - 1).unwrap_or(FileId::MAX)
    }

    /// Reads a file. Bytes that are not UTF-8 are replaced, so that every file has a text.
    pub fn read(&mut self, path: &Path) -> Result<FileId, ReadError> {
        self.read_as(path, path)
    }

    /// Like [`read`](Self::read), shown under another name in complaints.
    pub fn read_as(&mut self, path: &Path, name: &Path) -> Result<FileId, ReadError> {
        if self.0.len() >= usize::from(FileId::MAX) {
            return Err(ReadError::TooMany);
        }
        const EISDIR: i32 = 21;
        let bytes = crate::outside::ask("read", &path.to_string_lossy(), || {
            if std::fs::metadata(path)?.is_dir() {
                return Err(std::io::Error::from_raw_os_error(EISDIR));
            }
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let bytes = bytes.map_err(|error| match error.raw_os_error() {
            Some(EISDIR) => ReadError::Directory,
            _ => ReadError::Io(error),
        })?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(ReadError::TooLarge);
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(self.add(name.display().to_string(), text))
    }

    /// The text of a file; empty for a number that was never given out.
    pub fn text(&self, file: FileId) -> &str {
        self.0.get(usize::from(file)).map_or("", |f| &f.text)
    }

    /// The name of a file, as it was given.
    pub fn name(&self, file: FileId) -> &str {
        self.0.get(usize::from(file)).map_or("", |f| &f.name)
    }

    /// The directory a file stands in, for relative includes.
    pub fn directory(&self, file: FileId) -> PathBuf {
        Path::new(self.name(file)).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line a span starts on, from 1.
    pub fn line(&self, span: Span) -> usize {
        let Some(file) = self.0.get(usize::from(span.file)) else { return 0 };
        file.first_line - 1 + file.lines.partition_point(|start| *start <= span.start)
    }

    /// The column a span starts at, in characters, from 1.
    pub fn column(&self, span: Span) -> usize {
        let range = self.line_range(span);
        let start = (span.start as usize).clamp(range.start, range.end);
        self.text(span.file).get(range.start..start).map_or(1, |s| s.chars().count() + 1)
    }

    /// The bytes of the line a span starts on, without its line end.
    pub fn line_range(&self, span: Span) -> Range<usize> {
        let Some(file) = self.0.get(usize::from(span.file)) else { return 0..0 };
        let index = file.lines.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = file.lines[index] as usize;
        let end = file.lines.get(index + 1).map_or(file.text.len(), |next| *next as usize - 1);
        start..end
    }

    /// What stands at a span.
    pub fn snippet(&self, span: Span) -> &str {
        self.text(span.file).get(span.range()).unwrap_or("")
    }
}
