//! A page: a tab that is lent to one call at a time.

mod inbox;
mod listen;
