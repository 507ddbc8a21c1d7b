//! .
pub mod ingest;
