//! Several shards, two relays: kills, changes of configuration and purges under load; what is
//! asked of the books all the while; and what happens when a central stream is lost, stuck, or
//! there are to be fewer shards.

mod campaign;
mod lost;
