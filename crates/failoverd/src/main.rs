//! failoverd.

fn main() {}
