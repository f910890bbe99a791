"""Logs of the processes: one JSON line per event on standard error, which the launcher sends to a file."""

from __future__ import annotations

import sys

import structlog


def configure(process: str) -> structlog.typing.FilteringBoundLogger:
    """Set up logging of this process and give its logger."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(process=process)
    return logger
