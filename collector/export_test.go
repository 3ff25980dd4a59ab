package collector

// CloseListener takes the public address away under a collector that runs.
func (s *Server) CloseListener() error { return s.public.Close() }
