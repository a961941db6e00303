"""The pages of the people who work here; each module is one blueprint under /admin."""

from prefcenter.web.admin import (
    account,
    activity,
    alarms,
    campaign,
    categories,
    certificates,
    exports,
    history,
    keys,
    overview,
    people,
    person_actions,
    reviews,
    second_factor,
    sites,
    staff,
    steps,
    texts,
    webhooks,
)

BLUEPRINTS = (
    *(overview.bp, history.bp, people.bp, reviews.bp, exports.bp),
    *(categories.bp, sites.bp, texts.bp, campaign.bp, keys.bp, staff.bp, activity.bp),
    webhooks.bp,
    *(account.bp, second_factor.bp, steps.bp, alarms.bp),
)
MORE_ROUTES = (person_actions, certificates)  # of people.bp
