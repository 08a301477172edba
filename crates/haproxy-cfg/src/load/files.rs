//! Which files the command line means.

use std::path::PathBuf;

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
        let metadata = std::fs::metadata(path).map_err(|error| {
            let reason = strip_os(&error);
            format!("Cannot open configuration file/directory {} : {reason}", path.display())
        })?;
        if !metadata.is_dir() {
            out.push(path.clone());
            continue;
        }
        let listing = std::fs::read_dir(path).map_err(|error| {
            let reason = strip_os(&error);
            format!("Cannot open configuration directory {} : {reason}", path.display())
        })?;
        let mut names: Vec<String> = listing
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".cfg") && !name.starts_with('.'))
            .collect();
        names.sort_unstable();
        let directory = path.display();
        let inside = names.into_iter().map(|name| PathBuf::from(format!("{directory}/{name}")));
        out.extend(inside.filter(|file| file.is_file()));
    }
    Ok(out)
}
