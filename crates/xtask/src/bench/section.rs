//! A part of a page that a benchmark writes, between two marks; the rest of the page is left alone.

use std::fs;

use anyhow::{Context as _, Result};

use crate::generate::root;

/// Puts `text` between the marks of section `name` of a page, or at its end where it has none.
///
/// # Errors
///
/// As the file system says.
pub(super) fn write(page: &str, name: &str, text: &str) -> Result<()> {
    let path = root().join(page);
    let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    fs::write(&path, replaced(&old, name, text))?;
    println!("{page}: {name} written");
    Ok(())
}

fn replaced(page: &str, name: &str, text: &str) -> String {
    let begin = format!("<!-- begin {name}: written by `cargo xtask bench {name} --write` -->\n");
    let end = format!("<!-- end {name} -->\n");
    let section = format!("{begin}{}\n{end}", text.trim_end());
    let found = page.find(&begin).zip(page.find(&end));
    match found {
        Some((from, to)) if from < to => {
            format!("{}{section}{}", &page[..from], &page[to + end.len()..])
        }
        _ => format!("{}\n\n{section}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn a_section_is_added_once_and_then_replaced_in_place() {
        let first = replaced("# Page\n\ntext\n", "scale", "one\n");
        assert!(first.starts_with("# Page\n\ntext\n\n<!-- begin scale"), "{first}");
        let after = first.clone() + "\nmore\n";
        let second = replaced(&after, "scale", "two");
        assert_eq!(second, after.replace("one", "two"));
    }
}
