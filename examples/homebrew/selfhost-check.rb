# A template for a Homebrew tap (`brew tap-new OWNER/selfhost`, then Formula/selfhost-check.rb). Fill in what is
# marked <...> from the release; `brew update-python-resources selfhost-check` writes the resources.
class SelfhostCheck < Formula
  include Language::Python::Virtualenv

  desc "Tell whether this machine can run an open-weight model"
  homepage "https://github.com/OWNER/selfhost"
  url "<address of the sdist of the release>"
  sha256 "<SHA-256 of that sdist>"
  license "Apache-2.0"

  depends_on "python@3.13"

  # as the sdist's own dependencies have them: psutil, packaging, rich and what rich needs
  %w[markdown-it-py mdurl packaging psutil pygments rich].each do |name|
    resource name do
      url "<address of the sdist of #{name}>"
      sha256 "<its SHA-256>"
    end
  end

  def install
    virtualenv_install_with_resources
  end

  test do
    system bin/"selfhost", "check", "gpt2", "--machine", "macbook-air-m2-16gb"
  end
end
