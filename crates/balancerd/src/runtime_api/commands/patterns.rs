//! Commands about maps and ACL files.

use super::Command;

pub(super) const COMMANDS: &[Command] = &[];
