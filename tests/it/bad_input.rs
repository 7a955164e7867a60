//! What bad input gets: an answer that names the fault, and neighbours that notice nothing.

mod configuration;
mod handlers;
mod streams;
