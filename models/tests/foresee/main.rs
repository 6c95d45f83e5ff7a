//! What forecasts keep to, and how they are judged while they are made, told in small worlds.

mod accuracy;
mod bounds;
mod worlds;
