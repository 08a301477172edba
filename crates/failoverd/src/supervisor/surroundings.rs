//! What the configuration says about the daemon itself: its pid files, its name in the log.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use daemon::log::{Log, Severity};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use vrrp::config::ProcessConfig;

use crate::cli::{self, Options};

/// Where pid files are that are not alone in `/run`.
const DIRECTORY: &str = "/run/keepalived";

/// Behind the name in the log, as keepalived has it: `_NAMESPACE`, `_INSTANCE` or both.
pub(super) fn ident_suffix(process: &ProcessConfig) -> String {
    let names = [&process.net_namespace, &process.instance_name];
    names.into_iter().flatten().map(|name| format!("_{name}")).collect()
}

/// Names the pid files the command line does not name, tells the role, and makes their directory.
pub(super) fn name_pid_files(
    options: &mut Options,
    arguments: &mut Vec<OsString>,
    process: &ProcessConfig,
) {
    let Some(directory) = directory(process) else { return };
    let suffix = process.instance_name.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
    let mut name = |path: &mut PathBuf, option: &str, name: &str, by_default: bool| {
        if by_default {
            *path = directory.join(format!("{name}{suffix}.pid"));
            let mut argument = OsString::from(format!("--{option}="));
            argument.push(&path);
            arguments.push(argument);
        }
    };
    name(&mut options.pid_file, "pid", "keepalived", options.default_pid_file);
    name(&mut options.vrrp_pid_file, "vrrp_pid", "vrrp", options.default_vrrp_pid_file);
    if options.default_pid_file || options.default_vrrp_pid_file {
        // What is wrong with it is said of the pid file.
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
    }
}

fn directory(process: &ProcessConfig) -> Option<PathBuf> {
    let of_all = PathBuf::from(DIRECTORY);
    match &process.net_namespace {
        Some(namespace) => Some(of_all.join(namespace)),
        None if process.use_pid_dir || process.instance_name.is_some() => Some(of_all),
        None => None,
    }
}

/// Tells the role what its name in the log ends in.
pub(super) fn tell_ident(options: &mut Options, arguments: &mut Vec<OsString>, suffix: String) {
    arguments.push(format!("--{}={suffix}", cli::IDENT).into());
    options.ident_suffix = suffix;
}

/// Lets the kernel keep the memory of a process that ends abnormally, and where it is told to.
pub(super) fn keep_cores(options: &Options, log: &Log) {
    if options.core_dump || options.core_pattern.is_some() {
        let limited = setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY);
        if let Err(error) = limited {
            log.write(Severity::Warning, format_args!("no core dumps: {error}"));
        }
    }
    if let Some(pattern) = &options.core_pattern
        && let Err(error) = std::fs::write("/proc/sys/kernel/core_pattern", pattern)
    {
        let line = format_args!("Unable to read/write core_pattern: {error}");
        log.write(Severity::Warning, line);
    }
}

/// What a reload cannot change, in keepalived's words; the rest of the configuration is taken over.
/// Of the network namespace the role says so.
pub(super) fn unchangeable(before: &ProcessConfig, after: &ProcessConfig) -> Vec<String> {
    let changed = before.instance_name != after.instance_name;
    let line = "Cannot change instance name at a reload - please restart keepalived";
    changed.then(|| line.to_owned()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Persona;

    fn named(process: &ProcessConfig, mut options: Options) -> (String, String, usize) {
        let mut arguments = Vec::new();
        let Some(directory) = directory(process) else {
            let path = |path: &PathBuf| path.display().to_string();
            return (path(&options.pid_file), path(&options.vrrp_pid_file), 0);
        };
        assert!(directory.starts_with(DIRECTORY));
        name_pid_files(&mut options, &mut arguments, process);
        let path = |path: &PathBuf| path.display().to_string();
        (path(&options.pid_file), path(&options.vrrp_pid_file), arguments.len())
    }

    #[test]
    fn pid_files_are_where_keepalived_2_2_7_has_them() {
        let own = || Options::new(Persona::Keepalived);
        let mut process = ProcessConfig::default();
        let plain = ("/run/keepalived.pid".to_owned(), "/run/vrrp.pid".to_owned(), 0);
        assert_eq!(named(&process, own()), plain);
        // Nothing is named, so that no directory is made.
        process.use_pid_dir = true;
        assert_eq!(directory(&process), Some(PathBuf::from("/run/keepalived")));
        process.instance_name = Some("foo".into());
        assert_eq!(ident_suffix(&process), "_foo");
        process.net_namespace = Some("ns".into());
        assert_eq!(directory(&process), Some(PathBuf::from("/run/keepalived/ns")));
        assert_eq!(ident_suffix(&process), "_ns_foo");
        let given = Options {
            pid_file: "/x".into(),
            default_pid_file: false,
            vrrp_pid_file: "/y".into(),
            default_vrrp_pid_file: false,
            ..own()
        };
        assert_eq!(named(&process, given), ("/x".to_owned(), "/y".to_owned(), 0));
    }

    #[test]
    fn what_a_reload_cannot_change_is_said() {
        let before = ProcessConfig::default();
        let after = ProcessConfig { instance_name: Some("x".into()), ..ProcessConfig::default() };
        assert_eq!(
            unchangeable(&before, &after),
            ["Cannot change instance name at a reload - please restart keepalived"]
        );
        assert!(unchangeable(&after, &after).is_empty());
    }
}
