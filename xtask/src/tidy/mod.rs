//! .
pub(crate) fn run(_: &crate::workspace::Workspace) -> anyhow::Result<()> {
    Ok(())
}
