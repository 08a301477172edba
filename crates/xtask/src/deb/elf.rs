//! What a binary needs of the machine it runs on, as `readelf` shows it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// Debian's `Depends` for a binary: of each library, the newest version of a symbol it takes.
pub(super) fn depends(binary: &Path) -> anyhow::Result<String> {
    let mut readelf = Command::new("readelf");
    readelf.args(["--wide", "--dynamic", "--version-info"]).arg(binary).env("LC_ALL", "C");
    of(&super::output(&mut readelf)?).with_context(|| format!("{}", binary.display()))
}

fn of(text: &str) -> anyhow::Result<String> {
    let mut packages: BTreeMap<&str, Option<Vec<u32>>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((_, library)) = line.split_once("Shared library: [") {
            let library = library.trim_end_matches(']');
            packages.entry(package(library)?).or_default();
        }
    }
    for word in text.split_whitespace() {
        // GLIBC_2.34 is a version, GLIBC_PRIVATE none.
        let Some(version) = word.strip_prefix("GLIBC_") else { continue };
        let parts: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
        if let (Ok(parts), Some(known)) = (parts, packages.get_mut("libc6")) {
            *known = known.take().max(Some(parts));
        }
    }
    let one = |(package, version): (&&str, &Option<Vec<u32>>)| match version {
        Some(version) => {
            let version: Vec<String> = version.iter().map(u32::to_string).collect();
            format!("{package} (>= {})", version.join("."))
        }
        None => (*package).to_owned(),
    };
    Ok(packages.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Which package of Debian has a library.
fn package(library: &str) -> anyhow::Result<&'static str> {
    Ok(match library.split(".so").next().unwrap_or(library) {
        "libc" | "libm" | "libpthread" | "libdl" | "librt" | "ld-linux-x86-64"
        | "ld-linux-aarch64" => "libc6",
        "libgcc_s" => "libgcc-s1",
        _ => bail!("no package is known for the library {library}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_decides_which_libc_is_needed() {
        let text = " 0x01 (NEEDED)  Shared library: [libgcc_s.so.1]
 0x01 (NEEDED)  Shared library: [libc.so.6]
  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 5
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 4
  0x0030:   Name: GLIBC_PRIVATE  Flags: none  Version: 3
  0x0040:   Name: GCC_4.2.0  Flags: none  Version: 2";
        assert_eq!(of(text).expect("both are known"), "libc6 (>= 2.34), libgcc-s1");
        assert_eq!(of("").expect("nothing is needed"), "");
        assert!(of("Shared library: [libfoo.so.1]").is_err());
    }
}
