//! What tunes a process, its sockets and its memory.

/// What a file says of the process's engine room. Most say nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tuning {
    /// `tune.rcvbuf.client` and its like: of the addresses clients connect to.
    pub client: SocketTuning,
    /// `tune.rcvbuf.server` and its like: of connections to servers.
    pub server: SocketTuning,
    /// `nosplice`: bulk data is copied through memory.
    pub no_splice: bool,
    /// `maxpipes`: how many pipes may be in use for spliced data; `None` is no limit.
    pub pipes: Option<usize>,
    /// `tune.pipesize`: the size of each in bytes; `None` is the kernel's.
    pub pipe_size: Option<u32>,
    /// `set-dumpable`: a core file is left although the process changed its user.
    pub dumpable: bool,
    /// `fd-hard-limit`: the most descriptors `maxconn` is reckoned from.
    pub most_files: Option<u64>,
    /// `mworker-max-reloads`: how many reloads a worker may outlive.
    pub most_reloads: Option<u32>,
    /// `thread-hard-limit`: the most cores that serve connections.
    pub most_threads: Option<u16>,
    /// `cpu-map`: the processors of each core that serves connections, counted from 1.
    pub cpus: Vec<(u16, Vec<u32>)>,
}

/// Buffers of sockets, in bytes; `None` is the kernel's own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketTuning {
    /// SO_RCVBUF.
    pub receive: Option<u32>,
    /// SO_SNDBUF.
    pub send: Option<u32>,
    /// TCP_NOTSENT_LOWAT: how much is held that is not sent yet.
    pub unsent: Option<u32>,
}
