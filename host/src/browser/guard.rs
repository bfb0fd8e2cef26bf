//! Stand-in.
#[derive(Debug, Default)]
pub struct GuardOptions {
    pub mappings: Vec<Mapping>,
    pub unmapped: Unmapped,
}
#[derive(Debug, Clone)]
pub struct Mapping {
    pub host: String,
    pub port: u16,
    pub to: std::net::SocketAddr,
}
#[derive(Debug, Default)]
pub enum Unmapped {
    #[default]
    Resolve,
    Refuse,
}
#[derive(Debug)]
pub struct Guard(std::net::SocketAddr);
impl Guard {
    pub async fn start(o: GuardOptions) -> std::io::Result<Self> {
        Ok(Self(o.mappings.first().map(|m| m.to).unwrap_or(([127, 0, 0, 1], 9).into())))
    }
    pub fn addr(&self) -> std::net::SocketAddr {
        self.0
    }
}
