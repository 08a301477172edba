//! haproxy-cfg.
