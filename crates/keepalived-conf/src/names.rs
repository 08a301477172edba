//! Names of routing tables, protocols, scopes, realms, groups and kinds of service, as iproute2
//! keeps them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use crate::system::System;

/// Where iproute2 keeps its files, the administrator's first.
const DIRECTORIES: [&str; 3] = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];

/// The names everybody knows, for machines without iproute2.
const BUILT_IN: &[(&str, &[(&str, u32)])] = &[
    ("rt_tables", &[("unspec", 0), ("default", 253), ("main", 254), ("local", 255)]),
    (
        "rt_protos",
        &[
            ("unspec", 0),
            ("redirect", 1),
            ("kernel", 2),
            ("boot", 3),
            ("static", 4),
            ("gated", 8),
            ("ra", 9),
            ("mrt", 10),
            ("zebra", 11),
            ("bird", 12),
            ("dnrouted", 13),
            ("xorp", 14),
            ("ntk", 15),
            ("dhcp", 16),
            ("keepalived", 18),
            ("babel", 42),
            ("bgp", 186),
            ("isis", 187),
            ("ospf", 188),
            ("rip", 189),
            ("eigrp", 192),
        ],
    ),
    (
        "rt_scopes",
        &[
            ("global", 0),
            ("universe", 0),
            ("site", 200),
            ("link", 253),
            ("host", 254),
            ("nowhere", 255),
        ],
    ),
    ("rt_realms", &[("cosmos", 0)]),
    ("group", &[("default", 0)]),
    (
        "rt_dsfield",
        &[
            ("default", 0),
            ("AF11", 0x28),
            ("AF12", 0x30),
            ("AF13", 0x38),
            ("AF21", 0x48),
            ("AF22", 0x50),
            ("AF23", 0x58),
            ("AF31", 0x68),
            ("AF32", 0x70),
            ("AF33", 0x78),
            ("AF41", 0x88),
            ("AF42", 0x90),
            ("AF43", 0x98),
            ("CS1", 0x20),
            ("CS2", 0x40),
            ("CS3", 0x60),
            ("CS4", 0x80),
            ("CS5", 0xa0),
            ("CS6", 0xc0),
            ("CS7", 0xe0),
            ("EF", 0xb8),
        ],
    ),
];

/// Names that have been read, file by file.
pub(crate) struct Names<'a> {
    system: &'a dyn System,
    directories: Vec<PathBuf>,
    read: RefCell<HashMap<&'static str, Vec<(String, u32)>>>,
}

impl<'a> Names<'a> {
    /// The names of this machine; `usr` and `etc` stand in for the usual directories.
    pub(crate) fn new(system: &'a dyn System, usr: Option<&str>, etc: Option<&str>) -> Self {
        let mut directories: Vec<PathBuf> = etc.into_iter().chain(usr).map(PathBuf::from).collect();
        directories.extend(DIRECTORIES.map(PathBuf::from));
        Self { system, directories, read: RefCell::default() }
    }

    /// The number of `word` in a file (`rt_tables`, `rt_protos`, …): a name of it, or a number
    /// itself, up to `most`.
    pub(crate) fn number(&self, file: &'static str, word: &str, most: u32) -> Option<u32> {
        if let Some(number) = number(word) {
            return Some(number).filter(|n| *n <= most);
        }
        let mut read = self.read.borrow_mut();
        let names = read.entry(file).or_insert_with(|| self.file(file));
        let named = names.iter().find(|(name, _)| name == word).map(|(_, number)| *number);
        named.filter(|n| *n <= most)
    }

    fn file(&self, file: &'static str) -> Vec<(String, u32)> {
        let mut names = Vec::new();
        for directory in &self.directories {
            for text in self.system.name_files(&directory.join(file)) {
                names.extend(text.lines().filter_map(entry));
            }
        }
        let built_in = BUILT_IN.iter().filter(|(name, _)| *name == file).flat_map(|(_, all)| *all);
        names.extend(built_in.map(|(name, number)| ((*name).to_owned(), *number)));
        names
    }
}

/// `<number> <name> [# …]`
fn entry(line: &str) -> Option<(String, u32)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let number = number(words.next()?)?;
    Some((words.next()?.to_owned(), number))
}

/// A number in any of C's notations.
pub(crate) fn number(word: &str) -> Option<u32> {
    let parsed = if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        u32::from_str_radix(digits, 16)
    } else if word.len() > 1 && word.starts_with('0') {
        u32::from_str_radix(word, 8)
    } else {
        word.parse()
    };
    parsed.ok().filter(|_| !word.contains(['+', '-']))
}
