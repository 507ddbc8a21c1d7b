//! Making a whole filesystem durable in one call, where the system can and says whether it worked.
//!
//! With many open sessions a group commit touches many files. Syncing each costs a journal commit's bookkeeping per
//! file; syncing the filesystem once costs about a fourth of the processor time.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::Filesystem;

#[cfg(not(target_os = "linux"))]
mod file_by_file;
#[cfg(not(target_os = "linux"))]
pub(super) use file_by_file::Filesystem;
