//! keepalived-conf.
