//! The app, in its window and against a real server, where it can be driven from outside: on Linux.

mod linux;
