//! Sites that this program serves itself, so that adapters can be tried without a network or an account.
//!
//! Everything here is reached only through the egress guard's mapping, under a name that no other site can have.

pub mod demo;
pub mod replica;
