//! nginx-conf.
