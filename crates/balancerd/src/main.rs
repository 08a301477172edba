//! balancerd.

fn main() {}
