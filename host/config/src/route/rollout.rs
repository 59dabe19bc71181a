//! Rollouts: another build of a plugin on real traffic, as a shadow or for a share of the groups.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use towpath_types::queue::GroupId;

/// How another build of a route's plugin is tried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rollout {
    /// A plugin that runs in addition to the route's own; its verdicts are never delivered.
    pub shadow: Option<String>,
    /// A plugin that replaces the route's own for a share of the groups.
    pub canary: Option<Canary>,
}

/// A plugin for a share of the groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Canary {
    pub plugin: String,
    pub share: Share,
}

impl Rollout {
    /// The plugins that it names.
    pub fn plugins(&self) -> impl Iterator<Item = &str> {
        self.shadow.iter().map(String::as_str).chain(self.canary.iter().map(|canary| canary.plugin.as_str()))
    }

    /// The plugin that replaces the route's own for this group, if any. It depends only on the group, so the group's
    /// messages stay in order.
    pub fn canary_for(&self, group: &GroupId) -> Option<&str> {
        let canary = self.canary.as_ref()?;
        canary.share.includes(&canary.plugin, group).then_some(canary.plugin.as_str())
    }
}

/// A share of all groups, from 0 % to 100 %, in hundredths of a percent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(u16);

impl Share {
    const ALL: u16 = 10_000;

    /// Whether a group is in this plugin's share. Different plugins get different groups. A larger share includes all
    /// groups of a smaller one.
    fn includes(self, plugin: &str, group: &GroupId) -> bool {
        let digest = Sha256::new().chain_update(plugin).chain_update([0]).chain_update(group.as_str()).finalize();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(Share::ALL) < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 10,000")]
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Share((percent * 100.0).round() as u16)),
            _ => Err(format!("{text:?} is not a share from \"0%\" to \"100%\"")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn included(share: &str) -> Vec<GroupId> {
        let share: Share = share.parse().expect(share);
        let groups = (0..10_000).map(|n| GroupId::from(format!("crm/{n}").as_str()));
        groups.filter(|group| share.includes("crm@candidate", group)).collect()
    }

    #[test]
    fn a_share_has_about_its_size_and_a_larger_one_includes_a_smaller_one() {
        let five = included("5%");
        let twenty = included("20%");
        assert!((400..600).contains(&five.len()), "{}", five.len());
        assert!((1800..2200).contains(&twenty.len()), "{}", twenty.len());
        assert!(five.iter().all(|group| twenty.contains(group)));
        assert_eq!((included("0%").len(), included("100%").len()), (0, 10_000));
    }

    #[test]
    fn an_invalid_share_is_rejected() {
        for wrong in ["", "5", "%", "101%", "-1%", "NaN%", "five%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?}");
        }
        assert_eq!("0.25%".parse::<Share>().map(|share| share.to_string()), Ok("0.25%".to_owned()));
    }
}
