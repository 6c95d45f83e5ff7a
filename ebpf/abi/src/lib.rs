//! Records and map keys shared by kernel and agent.
#![no_std]
