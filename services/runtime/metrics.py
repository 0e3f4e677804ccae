"""Every metric of every service, in one list. Names follow Prometheus' conventions: unit last, `_total`."""

from prometheus_client import Counter, Gauge, Histogram

_FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# Every worker
DEAD_LETTERS = Counter("ocr_dead_letters_total", "Undecodable records sent to the dead letters.", ["topic"])
STORE_CALLS = Histogram(
    "ocr_object_store_call_seconds",
    "Calls of the object store.",
    ["operation", "outcome"],
    buckets=_FAST_SECONDS,
)
TRANSACTIONS = Histogram("ocr_transaction_seconds", "Kafka transactions.", ["outcome"], buckets=_FAST_SECONDS)
LOOP_TICK = Gauge("ocr_loop_tick_timestamp_seconds", "When the main loop last went round.")

# What the API, and for its own group the ledger, says of the broker; every replica of the API says the same
CONSUMER_LAG = Gauge(
    "ocr_consumer_group_lag_records",
    "Records that a consumer group has not finished.",
    ["group", "topic", "partition"],
)
DEAD_LETTER_RECORDS = Gauge("ocr_dead_letter_records", "Records that lie in the dead letters.", ["topic"])
OPEN_TRANSACTION_AGE = Gauge(
    "ocr_open_transaction_age_seconds",
    "How long a partition's oldest open transaction has been seen; readers wait there.",
    ["topic", "partition"],
)
BALANCES_AGE = Gauge(
    "ocr_admission_balances_age_seconds", "Age of the moment up to which the ledger says that all usage is posted."
)

# Intake
NOTIFICATIONS = Counter("ocr_intake_notifications_total", "Notifications by source and fate.", ["source", "fate"])
UPLOADS_REQUESTED = Counter("ocr_intake_requests_total", "Requests produced for uploads.", ["origin"])
SWEEP_OBJECTS = Counter("ocr_intake_swept_objects_total", "Objects the reconciler looked at.", ["fate"])

# Extractor
RESULTS = Counter("ocr_extractor_results_total", "Results published.", ["outcome", "code", "lane"])
PAGES = Counter("ocr_extractor_pages_total", "Pages recognised.", ["lane"])
PAGE_SECONDS = Histogram(
    "ocr_extractor_page_seconds", "Recognition of one page.", buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
)
OPEN_RECORDS = Gauge("ocr_extractor_open_records", "Records being worked on.", ["lane"])
DROPPED_REQUESTS = Counter("ocr_extractor_dropped_requests_total", "Requests another record is author of.")
ABANDONED_RECORDS = Counter("ocr_extractor_abandoned_records_total", "Records open when a partition was revoked.")
CHILD_STARTS = Counter("ocr_extractor_child_starts_total", "Recognising children started.", ["reason"])

# Ledger
USAGE_POSTED = Counter("ocr_ledger_usage_events_total", "Usage events by fate.", ["fate"])
TOKENS_DEBITED = Counter("ocr_ledger_tokens_debited_total", "Tokens debited.")
LEDGER_BATCH = Histogram("ocr_ledger_batch_seconds", "One SQL transaction of postings.", buckets=_FAST_SECONDS)
OUTBOX_PENDING = Gauge("ocr_ledger_outbox_rows", "Outbox rows not yet published.")
OUTBOX_AGE = Gauge(
    "ocr_ledger_outbox_age_seconds", "How long the outbox's oldest row has been seen waiting; 0 when there is none."
)
ACCOUNTS = Gauge(
    "ocr_ledger_accounts", "Accounts of users: empty, low (below the threshold of the settings), funded.", ["balance"]
)
LOW_BALANCE = Gauge("ocr_ledger_low_balance_tokens", "Balances that are low and not empty, the lowest.", ["user_id"])
TAKEOVERS = Counter("ocr_ledger_takeovers_total", "Documents requested anew because their author never returned.")

# API
HTTP_REQUESTS = Histogram(
    "ocr_api_request_seconds", "HTTP requests.", ["method", "route", "status"], buckets=_FAST_SECONDS
)
WAITERS = Gauge("ocr_api_waiters", "POSTs that wait for their result.")
REFUSALS = Counter("ocr_api_refusals_total", "Requests answered with an error, by code.", ["code"])
RESULTS_EXPIRED = Counter("ocr_api_results_expired_total", "Results deleted because they were kept long enough.")
RETENTION_ROUND = Gauge(
    "ocr_api_retention_round_timestamp_seconds",
    "When retention last came to the end of the list, or began; 0 where results are kept for ever.",
)
RETENTION_FAULTS = Counter(
    "ocr_api_retention_faults_total", "Documents that retention passed over, and rounds that broke off.", ["kind"]
)

# Webhooks
WEBHOOK_ATTEMPTS = Counter("ocr_webhooks_attempts_total", "Attempts to deliver, by outcome.", ["outcome"])
WEBHOOK_SECONDS = Histogram(
    "ocr_webhooks_attempt_seconds", "From looking up a receiver to the end of its answer.", buckets=_FAST_SECONDS
)
WEBHOOKS_ABANDONED = Counter("ocr_webhooks_abandoned_total", "Deliveries given up after their last attempt.")
