"""What logs and answers may show, and how often."""
