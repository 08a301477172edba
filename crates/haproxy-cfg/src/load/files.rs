//! Which files the command line means.

use std::path::{Path, PathBuf};

/// An error of the system as C's `strerror` has it.
pub(crate) fn strip_os(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}

/// The files named on the command line, directories replaced by their `*.cfg`.
///
/// # Errors
/// What HAProxy says about the first that is not there.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut out = vec![];
    for path in paths {
        let listed = list(path).map_err(|error| {
            let reason = strip_os(&error);
            let kind = if path.is_dir() { "directory" } else { "file/directory" };
            format!("Cannot open configuration {kind} {} : {reason}", path.display())
        })?;
        let Some(names) = listed else {
            out.push(path.clone());
            continue;
        };
        let directory = path.display();
        let inside = names.into_iter().map(|name| PathBuf::from(format!("{directory}/{name}")));
        out.extend(inside);
    }
    Ok(out)
}

/// The `*.cfg` of a directory in order of their names; `None` if it is a file.
fn list(path: &Path) -> std::io::Result<Option<Vec<String>>> {
    /// What no file name begins with.
    const FILE: &[u8] = b"/";
    let answer = conf::outside::ask("list", &path.to_string_lossy(), || {
        if !std::fs::metadata(path)?.is_dir() {
            return Ok(FILE.to_vec());
        }
        let mut names: Vec<String> = std::fs::read_dir(path)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".cfg") && !name.starts_with('.'))
            .filter(|name| path.join(name).is_file())
            .collect();
        names.sort_unstable();
        Ok(names.join("/").into_bytes())
    })?;
    if answer == FILE {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(Some(text.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()))
}
