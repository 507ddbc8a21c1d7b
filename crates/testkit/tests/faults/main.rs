//! The shipped programs under faults that only a system can make: links that are slow and break, disks that are full. On Linux,
//! as root.

mod linux;
