"""x"""
def write(r, d): pass
