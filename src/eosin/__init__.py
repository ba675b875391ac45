"""eosin"""
