//! A real sound server, where there is PulseAudio: on Linux.

mod linux;
