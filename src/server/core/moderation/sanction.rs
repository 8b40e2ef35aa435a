//! Shared by bans and mutes: how long they last, which sites they cover, and their stored form.

use crate::{
    protocol::Role,
    server::{
        core::format::moment,
        network::{ClientAddress, Site},
    },
};

/// Most bans, and most mutes, in force at one time.
pub const SANCTIONS_MAX: usize = 10_000;
/// Most sites of one ban or mute: one user's sessions come from few places.
const SITES_MAX: usize = 8;

/// Whether a ban or mute has not ended.
pub fn in_force(until: Option<u64>, now: u64) -> bool {
    until.is_none_or(|until| until > now)
}

/// Until when, for a list.
pub fn until_words(until: Option<u64>) -> String {
    until.map_or_else(
        || "until lifted".to_owned(),
        |at| format!("until {}", moment(at)),
    )
}

/// The sites that a ban or mute of a user with these addresses covers.
pub fn covered(addresses: &[ClientAddress]) -> Vec<Site> {
    let closable = addresses.iter().filter_map(|address| address.closable());
    let mut sites: Vec<_> = closable.collect();
    sites.sort_unstable();
    sites.dedup();
    sites.truncate(SITES_MAX);
    sites
}

/// For serde: sites as addresses.
pub(super) mod kept_sites {
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::server::network::Site;

    pub(in super::super) fn serialize<S: Serializer>(
        sites: &[Site],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(sites.iter().filter_map(|site| site.kept()))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Site>, D::Error> {
        let addresses = Vec::<IpAddr>::deserialize(deserializer)?;
        Ok(addresses.into_iter().filter_map(Site::of_kept).collect())
    }
}

/// The role that set a ban or mute of an older server, which did not note it: any moderator may
/// lift it.
pub fn moderator() -> Role {
    Role::Moderator
}
