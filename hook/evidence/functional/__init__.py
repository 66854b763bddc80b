"""Does the edit change behaviour?"""
