"""Writes the dashboard beside it, so that a panel is a line here and not a page of JSON."""

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("ocr-services.json")

_WIDTH, _HEIGHT = 8, 7
# Title, unit, queries with their legends.
_PANELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Pages a second", "none", (("sum by (lane) (rate(ocr_extractor_pages_total[5m]))", "{{lane}}"),)),
    ("Results a second", "none", (("sum by (outcome) (rate(ocr_extractor_results_total[5m]))", "{{outcome}}"),)),
    (
        "Failures and refusals by code",
        "none",
        (('sum by (code) (rate(ocr_extractor_results_total{outcome!="completed"}[5m]))', "{{code}}"),),
    ),
    (
        "Lag by topic",
        "short",
        (
            (
                "sum by (group, topic) (max by (group, topic, partition) (ocr_consumer_group_lag_records))",
                "{{group}} {{topic}}",
            ),
        ),
    ),
    (
        "Lag by partition of the lanes",
        "short",
        (
            (
                'max by (topic, partition) (ocr_consumer_group_lag_records{group=~".*ocr-extractor"})',
                "{{topic}}[{{partition}}]",
            ),
        ),
    ),
    (
        "Page, seconds",
        "s",
        (
            ("histogram_quantile(0.5, sum by (le) (rate(ocr_extractor_page_seconds_bucket[5m])))", "p50"),
            ("histogram_quantile(0.95, sum by (le) (rate(ocr_extractor_page_seconds_bucket[5m])))", "p95"),
        ),
    ),
    (
        "POST, seconds",
        "s",
        (
            (
                "histogram_quantile(0.5, sum by (le) "
                '(rate(ocr_api_request_seconds_bucket{method="POST", route="/api/ocr/process"}[5m])))',
                "p50",
            ),
            (
                "histogram_quantile(0.99, sum by (le) "
                '(rate(ocr_api_request_seconds_bucket{method="POST", route="/api/ocr/process"}[5m])))',
                "p99",
            ),
        ),
    ),
    ("Answers by status", "none", (("sum by (status) (rate(ocr_api_request_seconds_count[5m]))", "{{status}}"),)),
    (
        "Waiting POSTs, open records",
        "short",
        (("sum(ocr_api_waiters)", "waiting"), ("sum by (lane) (ocr_extractor_open_records)", "open {{lane}}")),
    ),
    ("API errors by code", "none", (("sum by (code) (rate(ocr_api_refusals_total[5m]))", "{{code}}"),)),
    ("Dead letters", "short", (("max by (topic) (ocr_dead_letter_records)", "{{topic}}"),)),
    (
        "Kafka transactions, p95 seconds",
        "s",
        (
            (
                "histogram_quantile(0.95, sum by (le, outcome) (rate(ocr_transaction_seconds_bucket[5m])))",
                "{{outcome}}",
            ),
        ),
    ),
    (
        "Object store, p95 seconds",
        "s",
        (
            (
                "histogram_quantile(0.95, sum by (le, operation) (rate(ocr_object_store_call_seconds_bucket[5m])))",
                "{{operation}}",
            ),
        ),
    ),
    (
        "Notifications",
        "none",
        (("sum by (source, fate) (rate(ocr_intake_notifications_total[5m]))", "{{source}} {{fate}}"),),
    ),
    (
        "Requests for uploads by origin",
        "none",
        (("sum by (origin) (rate(ocr_intake_requests_total[5m]))", "{{origin}}"),),
    ),
    ("Tokens debited a second", "none", (("sum(rate(ocr_ledger_tokens_debited_total[5m]))", "tokens"),)),
    (
        "How old the ledger's state is",
        "s",
        (
            ("max(ocr_admission_balances_age_seconds)", "balances"),
            ("max(ocr_ledger_outbox_age_seconds)", "outbox"),
        ),
    ),
    ("Accounts by balance", "short", (("max by (balance) (ocr_ledger_accounts)", "{{balance}}"),)),
    ("Lowest balances", "short", (("bottomk(20, max by (user_id) (ocr_ledger_low_balance_tokens))", "{{user_id}}"),)),
    (
        "Recogniser starts",
        "none",
        (("sum by (reason) (increase(ocr_extractor_child_starts_total[5m]))", "{{reason}}"),),
    ),
    (
        "What did not go straight on",
        "none",
        (
            ("sum(rate(ocr_extractor_dropped_requests_total[5m]))", "dropped: another is author"),
            ("sum(rate(ocr_extractor_abandoned_records_total[5m]))", "abandoned: partition revoked"),
            ("sum(rate(ocr_ledger_takeovers_total[5m]))", "takeovers"),
        ),
    ),
    (
        "Webhooks: attempts by outcome, given up",
        "none",
        (
            ("sum by (outcome) (increase(ocr_webhooks_attempts_total[5m]))", "{{outcome}}"),
            ("sum(increase(ocr_webhooks_abandoned_total[5m]))", "deliveries given up"),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard; Grafana asks for the data source when it is imported."""
    return {
        "title": "OCR Services",
        "uid": "ocr-services",
        "schemaVersion": 39,
        "tags": ["ocr-services"],
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, *panel) for number, panel in enumerate(_PANELS)],
    }


def _panel(number: int, title: str, unit: str, queries: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    column, row = number % 3, number // 3
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(queries)
        ],
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(dashboard(), indent=2) + "\n", "utf-8")
