//! What a member may give to its keys. An operator may give everything.

use crate::scope::Scope;
use crate::token::Role;

/// What is about to be given to a key.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The scopes, if they are set.
    pub scopes: Option<&'a [Scope]>,
    /// The requests an hour, if they are set.
    pub rate_limit_per_hour: Option<u32>,
    /// Whether the billing plan is chosen.
    pub chooses_plan: bool,
    /// Whether the monthly limit is set.
    pub sets_monthly_limit: bool,
    /// Whether the key is for another user than the giver's own.
    pub for_another_user: bool,
}

/// What a member may not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// A scope that is, or covers, an admin scope.
    Scope,
    /// More requests an hour than members may give.
    RateLimit,
    /// A billing plan.
    BillingPlan,
    /// A monthly limit.
    MonthlyLimit,
    /// A key of somebody else.
    User,
    /// Anything: a verifier manages no keys.
    Role,
}

impl Grant<'_> {
    /// Checks the grant against what `role` may give; members at most `member_max` requests an hour.
    ///
    /// # Errors
    /// The first thing that is [`Forbidden`].
    pub fn check(&self, role: Role, member_max: u32) -> Result<(), Forbidden> {
        match role {
            Role::Operator => return Ok(()),
            Role::Verifier => return Err(Forbidden::Role),
            Role::Member => {}
        }
        let faults = [
            (self.for_another_user, Forbidden::User),
            (self.scopes.is_some_and(|scopes| scopes.iter().any(Scope::is_privileged)), Forbidden::Scope),
            (self.rate_limit_per_hour.is_some_and(|limit| limit > member_max), Forbidden::RateLimit),
            (self.chooses_plan, Forbidden::BillingPlan),
            (self.sets_monthly_limit, Forbidden::MonthlyLimit),
        ];
        faults.into_iter().find(|(fault, _)| *fault).map_or(Ok(()), |(_, forbidden)| Err(forbidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Grant<'_> = Grant {
        scopes: None,
        rate_limit_per_hour: None,
        chooses_plan: false,
        sets_monthly_limit: false,
        for_another_user: false,
    };

    #[test]
    fn a_member_gives_what_is_its_own_to_give() {
        let admin = [Scope::parse("model:admin").unwrap()];
        let plain = [Scope::parse("model:*").unwrap()];
        let table = [
            (NOTHING, Ok(())),
            (Grant { scopes: Some(&plain), rate_limit_per_hour: Some(1000), ..NOTHING }, Ok(())),
            (Grant { scopes: Some(&admin), ..NOTHING }, Err(Forbidden::Scope)),
            (Grant { rate_limit_per_hour: Some(1001), ..NOTHING }, Err(Forbidden::RateLimit)),
            (Grant { chooses_plan: true, ..NOTHING }, Err(Forbidden::BillingPlan)),
            (Grant { sets_monthly_limit: true, ..NOTHING }, Err(Forbidden::MonthlyLimit)),
            (Grant { for_another_user: true, ..NOTHING }, Err(Forbidden::User)),
        ];
        for (grant, outcome) in table {
            assert_eq!(grant.check(Role::Member, 1000), outcome, "{grant:?}");
            assert_eq!(grant.check(Role::Operator, 1000), Ok(()), "{grant:?}");
            assert_eq!(grant.check(Role::Verifier, 1000), Err(Forbidden::Role), "{grant:?}");
        }
    }
}
