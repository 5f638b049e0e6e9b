"""Arrays in, estimates out: statistics that know no trial and no drug."""
