//! The statistics page.

use http::Request;
use proxy::Stats;

use super::own::Own;
use crate::state::Shared;

/// Answers a request for it.
pub(super) fn answer(
    _shared: &'static Shared,
    _stats: &Stats,
    _request: &Request,
    _posted: Option<&[u8]>,
    _admin: bool,
) -> Own {
    Own::new(200, "text/html", Vec::new())
}
