"""The consumer groups, by name, since provisioning and sweeps have to know those of others."""

EXTRACTOR = "ocr-extractor"
LEDGER = "ocr-ledger"
INTAKE_EVENTS = "ocr-intake-events"
RECONCILER = "ocr-reconciler"
RESULT_LIST = "ocr-result-list"
WEBHOOKS = "ocr-webhooks"
