//! `longtake invite`: a link by which others watch.

use publisher::connection::{DownloadError, invite};

use super::runtime;
use crate::arguments::InviteOptions;
use crate::exit::Failure;

/// Prints the link, alone, on standard output.
pub(crate) fn run(options: &InviteOptions) -> Result<(), Failure> {
    let to = options.reach.destination(options.room.as_ref())?;
    let runtime = runtime()?;
    let invited =
        runtime.block_on(invite(&to.server, &to.room, to.token.as_ref(), to.own_authority.as_deref()));
    // A name service that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    let invitation = invited.map_err(|error: DownloadError| Failure::Server(error.to_string()))?;
    println!("{}", invitation.link.expose());
    if invitation.is_local {
        eprintln!("this address works on this machine only; give --server the one by which others reach it");
    }
    Ok(())
}
