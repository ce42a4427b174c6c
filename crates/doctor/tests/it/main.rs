//! Integration tests of the doctor: the hall of broken servers, and scripted servers, on loopback.

mod examine;
mod hall;
mod limits;
mod lookup;
mod scenarios;
mod web;
