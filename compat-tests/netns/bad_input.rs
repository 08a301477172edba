pub(crate) fn register(_tests: &mut crate::Tests<'_>) {}
