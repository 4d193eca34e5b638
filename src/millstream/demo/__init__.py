"""What the demo sends: real purchases, with names and addresses that were invented for them."""

from millstream.demo.cdnow import Customer, Purchase, data_file, driver_records, read_customers

__all__ = ["Customer", "Purchase", "data_file", "driver_records", "read_customers"]
