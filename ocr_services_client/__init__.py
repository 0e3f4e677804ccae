"""A client of OCR Services: upload a file, wait for its text. Needs httpx and nothing else of this repository."""

from ocr_services_client.client import Client
from ocr_services_client.errors import ApiError, MaybeStored, OcrServicesError, TimedOut, Unreachable
from ocr_services_client.models import Balance, LayoutFormat, Result, ResultItem, Status, Transaction, UnfinishedResult

__all__ = [
    "ApiError",
    "Balance",
    "Client",
    "LayoutFormat",
    "MaybeStored",
    "OcrServicesError",
    "Result",
    "ResultItem",
    "Status",
    "TimedOut",
    "Transaction",
    "UnfinishedResult",
    "Unreachable",
]
