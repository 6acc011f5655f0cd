"""What pages of the site take from the code and from measurements."""
