"""The closed vocabulary of checks. A document can say nothing that is not one of these."""

from __future__ import annotations

from cds_service.policy.checks.check import Check, Range, ValueSetName
from cds_service.policy.checks.combine import All, Any, FirstDocumented, NoneOf
from cds_service.policy.checks.infusions import InfusionsExceed, RepeatOutsideWindow
from cds_service.policy.checks.medication import Medication
from cds_service.policy.checks.order import OrderIs, OrderReason, OrderSays
from cds_service.policy.checks.patient import AgeAtLeast, AgeAtLeastMonths, AgeUnder, Sex
from cds_service.policy.checks.product import (
    EarlierProcedure,
    EarlierTherapy,
    FdaApproved,
    FirstCourse,
    LabelledDiagnosis,
    MarketedProduct,
    OrderRoute,
    QualifiedCentre,
)
from cds_service.policy.checks.recorded import Diagnosis, GradeAtLeast, Recorded
from cds_service.policy.checks.result import LatestResult
from cds_service.policy.checks.status import Attested, StatusNow

VOCABULARY: dict[str, type[Check]] = {
    check.key: check
    for check in (
        AgeAtLeast,
        AgeAtLeastMonths,
        AgeUnder,
        Sex,
        Diagnosis,
        Recorded,
        GradeAtLeast,
        LatestResult,
        Medication,
        StatusNow,
        InfusionsExceed,
        RepeatOutsideWindow,
        OrderIs,
        OrderSays,
        OrderReason,
        Attested,
        FdaApproved,
        MarketedProduct,
        LabelledDiagnosis,
        OrderRoute,
        FirstCourse,
        EarlierTherapy,
        EarlierProcedure,
        QualifiedCentre,
        All,
        Any,
        NoneOf,
        FirstDocumented,
    )
}

AGE_LIMITS = (AgeAtLeast, AgeAtLeastMonths, AgeUnder)

__all__ = ["AGE_LIMITS", "VOCABULARY", "All", "Check", "Range", "ValueSetName"]
