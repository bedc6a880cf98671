@_exported import PithCore
