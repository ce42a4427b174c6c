//! The web pages above a running service, asked as real clients ask and as attackers do.

mod doctor;
mod house;
mod pages;
mod profile;
mod requests;
mod sign_in;
mod strangers;
